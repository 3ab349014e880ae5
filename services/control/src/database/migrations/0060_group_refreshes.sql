-- The custom domain tables that a group's runs publish anew: they can't be removed under it.
create table courier_group_refresh (
  tenant text not null,
  group_id text not null,
  custom_table_id text not null,
  primary key (tenant, group_id, custom_table_id),
  foreign key (tenant, group_id) references courier_group (tenant, id) on delete cascade,
  constraint courier_group_refresh_table foreign key (tenant, custom_table_id)
    references custom_domain_table (tenant, id)
);

create index courier_group_refresh_by_table on courier_group_refresh (tenant, custom_table_id);

-- What a run publishes anew once its couriers have ended well, one after the other.
create table group_run_refresh (
  tenant text not null,
  run_id text not null,
  position integer not null,
  custom_table_id text not null,
  source text not null,
  name text not null,
  -- Null until its turn has come, and when it could not be started; then problem says why.
  workflow_id text,
  problem text,
  primary key (tenant, run_id, position),
  foreign key (tenant, run_id) references group_run (tenant, id) on delete cascade
);

-- Whether the run only loads, and publishes nothing anew.
alter table group_run add column ingest_only boolean not null default false;
