-- Until when a failed workflow can go on: what it staged is kept so long.
alter table workflow add column expire_time timestamptz;
create index workflow_resting on workflow (tenant, expire_time) where state = 'failed';

-- The last attempt before the task was resumed: what is allowed counts from there.
alter table task add column attempt_floor integer not null default 0;
-- How often it was begun from the start, because other bytes or settings came: what earlier times staged is removed.
alter table task add column generation integer not null default 0;
-- Whether the workflow goes on without the object.
alter table task add column is_skipped boolean not null default false;

drop index task_publish_slot;
create unique index task_publish_slot on task (tenant, feed_id)
  where kind = 'publish' and attempt > attempt_floor and state in ('waiting', 'running');

-- What was uploaded to stand in the place of a file. It goes with what its workflow staged.
create table replacement (
  tenant text not null,
  id text not null,
  workflow_id text not null,
  -- In the platform's bucket of uploads.
  key text not null,
  etag text not null,
  version_id text not null,
  size bigint not null,
  sha256 text not null,
  create_time timestamptz not null default now(),
  primary key (tenant, id),
  foreign key (tenant, workflow_id) references workflow (tenant, id) on delete cascade
);
create index replacement_by_workflow on replacement (tenant, workflow_id);

-- Where the bytes lie that stand in the object's place: another key of its bucket, or what was uploaded.
alter table manifest_object add column read_key text not null default '';
alter table manifest_object add column replacement_id text;

-- What a person is asked to do about one failure.
create table action (
  tenant text not null,
  id text not null,
  -- Counts all actions: what lists are ordered by.
  number bigint generated always as identity,
  workflow_id text not null,
  task_id text not null,
  attempt integer not null,
  kind integer not null,
  failure jsonb not null,
  -- open, resolved or stale.
  state text not null,
  etag text not null,
  resolution_id text not null default '',
  restarted_as text not null default '',
  create_time timestamptz not null default now(),
  end_time timestamptz,
  primary key (tenant, id),
  unique (number),
  foreign key (tenant, workflow_id) references workflow (tenant, id) on delete cascade
);
create index action_by_workflow on action (tenant, workflow_id, number desc);
create index action_open on action (tenant, number desc) where state = 'open';
create unique index action_open_of_task on action (tenant, task_id) where state = 'open';
