create table api_key (
  tenant text not null,
  id text not null,
  -- Counts all keys: what lists are ordered by.
  number bigint generated always as identity,
  name text not null,
  role text not null check (role in ('viewer', 'operator', 'admin')),
  -- What the key begins with: it is found by it.
  prefix text not null unique,
  -- SHA-256 of the rest of the key, which is kept nowhere.
  hash bytea not null,
  create_time timestamptz not null default now(),
  expire_time timestamptz,
  last_use_time timestamptz,
  revoke_time timestamptz,
  primary key (tenant, id)
);

create table audit_event (
  tenant text not null,
  number bigint generated always as identity primary key,
  time timestamptz not null default clock_timestamp(),
  actor_kind text not null check (actor_kind in ('api_key', 'token', 'service')),
  actor text not null,
  -- Empty when a refused credential has none.
  role text not null,
  method text not null,
  resource text not null,
  outcome text not null,
  address text not null
);
create index audit_event_of_tenant on audit_event (tenant, number);

-- Nothing that was written down is changed or taken away: also not by a fault of this program.
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is only ever appended to';
end
$$;
create trigger audit_event_is_append_only before update or delete on audit_event
  for each row execute function refuse_audit_change();
create trigger audit_event_is_not_truncated before truncate on audit_event
  for each statement execute function refuse_audit_change();

-- Sources are databases of one ClickHouse: whose each is. It stays its tenant's when the source is removed, because
-- tables may be left in it.
create table warehouse_database (
  name_key text collate "C" primary key,
  tenant text not null
);
insert into warehouse_database (name_key, tenant)
  select name_key, min(tenant) from source group by name_key;

-- Workers work for every tenant, and name nothing but the task.
create index task_by_id on task (id);
delete from worker;
