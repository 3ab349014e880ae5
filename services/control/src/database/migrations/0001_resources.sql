create table tenant (
  tenant text primary key,
  external_id text not null,
  -- Which master key seals the tenant's secrets.
  key_id text not null,
  create_time timestamptz not null default now()
);

create table credential (
  tenant text not null,
  id text not null,
  name text not null,
  name_key text collate "C" not null,
  description text not null,
  plugin text not null,
  kind jsonb not null,
  last_status jsonb,
  etag text not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  primary key (tenant, id),
  constraint credential_name_taken unique (tenant, name_key)
);

create table secret (
  tenant text not null,
  credential_id text not null,
  name text not null,
  version integer not null,
  key_id text not null,
  wrapped_key bytea not null,
  sealed bytea not null,
  primary key (tenant, credential_id, name),
  foreign key (tenant, credential_id) references credential (tenant, id) on delete cascade
);

create table source (
  tenant text not null,
  id text not null,
  name text not null,
  name_key text collate "C" not null,
  etag text not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  primary key (tenant, id),
  constraint source_name_taken unique (tenant, name_key)
);

create table feed (
  tenant text not null,
  id text not null,
  source_id text not null,
  name text not null,
  name_key text collate "C" not null,
  version integer not null default 0,
  draft jsonb,
  etag text not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  primary key (tenant, id),
  constraint feed_name_taken unique (tenant, source_id, name_key),
  constraint feed_source foreign key (tenant, source_id) references source (tenant, id),
  check (version > 0 or draft is not null)
);

create table feed_version (
  tenant text not null,
  feed_id text not null,
  version integer not null,
  spec jsonb not null,
  create_time timestamptz not null default now(),
  primary key (tenant, feed_id, version),
  foreign key (tenant, feed_id) references feed (tenant, id) on delete cascade
);

create function refuse_update() returns trigger language plpgsql as $$
begin
  raise exception '% never changes', tg_table_name;
end
$$;

create trigger feed_version_never_changes before update on feed_version
  for each row execute function refuse_update();

create table courier (
  tenant text not null,
  id text not null,
  name text not null,
  name_key text collate "C" not null,
  credential_id text not null,
  spec jsonb not null,
  etag text not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  primary key (tenant, id),
  constraint courier_name_taken unique (tenant, name_key)
);

create table courier_feed (
  tenant text not null,
  courier_id text not null,
  feed_id text not null,
  primary key (tenant, courier_id, feed_id),
  foreign key (tenant, courier_id) references courier (tenant, id) on delete cascade,
  constraint courier_feed_feed foreign key (tenant, feed_id) references feed (tenant, id)
);

create index courier_feed_by_feed on courier_feed (tenant, feed_id);

create table courier_credential (
  tenant text not null,
  courier_id text not null,
  credential_id text not null,
  primary key (tenant, courier_id, credential_id),
  foreign key (tenant, courier_id) references courier (tenant, id) on delete cascade,
  constraint courier_credential_credential
    foreign key (tenant, credential_id) references credential (tenant, id)
);

create index courier_credential_by_credential on courier_credential (tenant, credential_id);

create table request (
  tenant text not null,
  method text not null,
  request_id text not null,
  digest bytea not null,
  resource_id text not null,
  create_time timestamptz not null default now(),
  constraint request_repeated primary key (tenant, method, request_id)
);

create table worker (
  tenant text not null,
  id text not null,
  inspect_url text not null,
  seen_time timestamptz not null default now(),
  primary key (tenant, id)
);

create index worker_by_seen_time on worker (tenant, seen_time desc);
