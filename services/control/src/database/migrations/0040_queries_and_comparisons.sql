-- What a task is beside its kind: 'query_file' stages a file for an ingest query, 'query' runs one (both are loads),
-- 'compare' compares a shadow load (in a publish's place). Empty for all others.
alter table task add column variant text not null default '';

-- What shadow loads found. A row outlives the shadow table.
create table feed_comparison (
  tenant text not null,
  workflow_id text not null,
  feed_id text not null,
  result jsonb not null,
  create_time timestamptz not null default now(),
  primary key (tenant, workflow_id),
  foreign key (tenant, workflow_id) references workflow (tenant, id) on delete cascade
);
