create table courier_group (
  tenant text not null,
  id text not null,
  name text not null,
  name_key text collate "C" not null,
  -- Schedule, members and alerts.
  spec jsonb not null,
  -- When it runs next by itself; null while it has no schedule, or is paused.
  next_fire_time timestamptz,
  -- The last time at which it ran by itself.
  last_fire_time timestamptz,
  etag text not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  primary key (tenant, id),
  constraint courier_group_name_taken unique (tenant, name_key)
);

create index courier_group_due on courier_group (tenant, next_fire_time) where next_fire_time is not null;

create table courier_group_member (
  tenant text not null,
  group_id text not null,
  courier_id text not null,
  primary key (tenant, group_id, courier_id),
  foreign key (tenant, group_id) references courier_group (tenant, id) on delete cascade,
  constraint courier_group_member_courier foreign key (tenant, courier_id) references courier (tenant, id)
);

create index courier_group_member_by_courier on courier_group_member (tenant, courier_id);

-- Runs outlive their group.
create table group_run (
  tenant text not null,
  id text not null,
  -- Counts all runs: what lists are ordered by.
  number bigint generated always as identity,
  group_id text not null,
  group_name text not null,
  -- The time that the schedule named; null for a run that somebody asked for.
  fire_time timestamptz,
  create_time timestamptz not null default now(),
  -- When somebody is told that it takes too long; null when nobody is, or was told already.
  alert_time timestamptz,
  runtime_alert_ms bigint,
  -- Why it is being stopped: 'asked' or 'missing'.
  stop_reason text,
  -- Whether every member's workflow has ended, so that nothing is left to look after.
  settled boolean not null default false,
  primary key (tenant, id),
  unique (number),
  -- A fire happens once, however many replicas look at the clock.
  constraint group_run_fired_once unique (tenant, group_id, fire_time)
);

create index group_run_by_group on group_run (tenant, group_id, number desc);
create index group_run_unsettled on group_run (tenant, number) where not settled;

create table group_run_member (
  tenant text not null,
  run_id text not null,
  position integer not null,
  courier_id text not null,
  courier_name text not null,
  start_date date not null,
  end_date date not null,
  -- Until when its files may come.
  wait_until timestamptz not null,
  notify_when_missing boolean not null,
  stop_when_missing boolean not null,
  -- Null when it could not be started; then problem says why.
  workflow_id text,
  problem text,
  primary key (tenant, run_id, position),
  foreign key (tenant, run_id) references group_run (tenant, id) on delete cascade
);

create index group_run_member_by_workflow on group_run_member (tenant, workflow_id);

-- The group's run that began the workflow.
alter table workflow add column group_run_id text;
-- Until then, a list that misses files is tried again.
alter table workflow add column files_wait_until timestamptz;
-- Attempts that ended because files may still come: they don't count among a task's attempts.
alter table task add column waits integer not null default 0;
