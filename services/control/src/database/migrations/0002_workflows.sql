create table workflow (
  tenant text not null,
  id text not null,
  -- Counts all workflows: what lists are ordered by.
  number bigint generated always as identity,
  courier_id text not null,
  courier_name text not null,
  state text not null,
  tally jsonb not null,
  staged boolean not null,
  start_date date not null,
  end_date date not null,
  skip_missing_files boolean not null,
  -- What it began with: the courier and the feeds' versions, without secrets.
  plan jsonb not null,
  -- Counts the changes: what watchers go on from.
  revision bigint not null,
  stage integer not null default 0,
  bytes_read bigint not null default 0,
  bytes_total bigint not null default 0,
  rows bigint not null default 0,
  rejected_rows bigint not null default 0,
  failure jsonb,
  warnings jsonb not null default '[]',
  create_time timestamptz not null default now(),
  start_time timestamptz,
  end_time timestamptz,
  primary key (tenant, id),
  unique (number)
);

create index workflow_by_number on workflow (tenant, number desc);
create index workflow_by_courier on workflow (tenant, courier_id, number desc);

create table manifest_object (
  tenant text not null,
  workflow_id text not null,
  -- The attempt of the list that found it: once the list is frozen, only the one that froze it is left.
  attempt integer not null,
  page integer not null,
  position integer not null,
  bucket text not null,
  key text not null,
  etag text not null,
  version_id text not null,
  size bigint not null,
  date text collate "C" not null,
  file_tag text not null,
  primary key (tenant, workflow_id, attempt, page, position),
  foreign key (tenant, workflow_id) references workflow (tenant, id) on delete cascade
);

create table task (
  tenant text not null,
  id text not null,
  workflow_id text not null,
  -- Counts the tasks of a workflow.
  number integer not null,
  kind text not null,
  state text not null,
  attempt integer not null default 0,
  feed_id text,
  -- The place in the frozen manifest of a load.
  page integer,
  position integer,
  object_ordinal bigint,
  key text not null default '',
  date text not null default '',
  -- When the next attempt may begin, or at once.
  available_time timestamptz,
  worker text,
  lease_expire_time timestamptz,
  progress_time timestamptz,
  first_start_time timestamptz,
  end_time timestamptz,
  stage integer not null default 0,
  bytes_read bigint not null default 0,
  bytes_total bigint not null default 0,
  rows bigint not null default 0,
  rejected_rows bigint not null default 0,
  rows_per_second double precision not null default 0,
  -- What is durable; only ever grows.
  done_batches bigint not null default 0,
  done_rows bigint not null default 0,
  done_rejected_rows bigint not null default 0,
  route text not null default '',
  warnings jsonb not null default '[]',
  -- The workflow's revision at the last change.
  revision bigint not null,
  primary key (tenant, id),
  unique (tenant, workflow_id, number),
  foreign key (tenant, workflow_id) references workflow (tenant, id) on delete cascade,
  check ((state = 'running') = (lease_expire_time is not null))
);

create index task_waiting on task (tenant, kind, number) where state = 'waiting';
create index task_leased on task (lease_expire_time) where state = 'running';
create index task_changed on task (tenant, workflow_id, revision);
-- One publish of a feed at a time, until its outcome is known.
create unique index task_publish_slot on task (tenant, feed_id)
  where kind = 'publish' and attempt > 0 and state in ('waiting', 'running');

create table attempt (
  tenant text not null,
  task_id text not null,
  number integer not null,
  worker text not null,
  start_time timestamptz not null,
  end_time timestamptz,
  -- succeeded, failed or lost; null while it runs.
  outcome text,
  failure jsonb,
  primary key (tenant, task_id, number),
  foreign key (tenant, task_id) references task (tenant, id) on delete cascade
);

create table publish_intent (
  tenant text not null,
  task_id text not null,
  staging_uuid text not null,
  rows_uuid text not null,
  attempt integer not null,
  create_time timestamptz not null default now(),
  primary key (tenant, task_id),
  foreign key (tenant, task_id) references task (tenant, id) on delete cascade
);

-- What was published. It outlives the feed's couriers and its workflows' tasks.
create table load_record (
  tenant text not null,
  number bigint generated always as identity primary key,
  workflow_id text not null,
  feed_id text not null,
  operation integer not null,
  rows bigint not null,
  rejected_rows bigint not null,
  publish_time timestamptz not null default now(),
  unique (tenant, workflow_id, feed_id)
);

create index load_record_by_feed on load_record (tenant, feed_id, number desc);

-- Counts the objects of a domain table's whole life. Batches' versions leave 27 bits for it.
create table object_ordinal (
  tenant text not null,
  feed_id text not null,
  next_ordinal bigint not null check (next_ordinal <= 134217728),
  primary key (tenant, feed_id)
);
