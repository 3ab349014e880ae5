-- A call with side effects that has begun and not ended: written before anything is done, replaced by its event with
-- the outcome. One that is left over was cut off by a crash, and becomes an event whose outcome nobody knows.
create table audit_intent (
  number bigint generated always as identity primary key,
  tenant text not null,
  time timestamptz not null default clock_timestamp(),
  actor_kind text not null,
  actor text not null,
  role text not null,
  method text not null,
  resource text not null,
  address text not null
);
create index audit_intent_by_time on audit_intent (time);

-- What metrics count.
create index workflow_unfinished on workflow (state)
  where state not in ('succeeded', 'skipped', 'stopped', 'abandoned');
