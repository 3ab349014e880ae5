create table notification_log (
  tenant text primary key,
  -- The last event that was given out. Taking the next one holds this row until the transaction ends, so that events
  -- become visible in their order and a watcher misses none.
  last_event bigint not null default 0,
  workflow_succeeded boolean not null default false
);

create table notification (
  tenant text not null,
  id text not null,
  -- The event that made it: what lists are ordered by.
  number bigint not null,
  -- The event that changed it last.
  event bigint not null,
  kind integer not null,
  message text not null,
  workflow_id text not null,
  courier_id text not null,
  courier_name text not null,
  sources jsonb not null,
  group_run_id text not null,
  group_id text not null,
  group_name text not null,
  failure jsonb,
  create_time timestamptz not null default now(),
  acknowledge_time timestamptz,
  primary key (tenant, id),
  unique (tenant, number),
  constraint notification_event_once unique (tenant, event)
);

create index notification_by_courier on notification (tenant, courier_id, number desc);
create index notification_by_workflow on notification (tenant, workflow_id, number desc);
create index notification_unacknowledged on notification (tenant, number desc) where acknowledge_time is null;
