alter table workflow
  -- Runs for every object there is: its days are known when the list is.
  add column everything boolean not null default false,
  -- Nothing that follows from the rows is begun.
  add column ingest_only boolean not null default false,
  -- Files that were loaded and have not changed since are loaded again.
  add column reload_unchanged boolean not null default false;

alter table manifest_object add column modify_time timestamptz;

-- What a list looked for in vain, as proto JSON.
create table missing_file (
  tenant text not null,
  workflow_id text not null,
  attempt integer not null,
  page integer not null,
  position integer not null,
  file jsonb not null,
  primary key (tenant, workflow_id, attempt, page, position),
  foreign key (tenant, workflow_id) references workflow (tenant, id) on delete cascade
);

-- The files whose rows a domain table has: written with the publish that showed them. Of a key there is only what was
-- loaded last; two file specifications of one workflow may each have read it in a way of their own.
create table loaded_file (
  tenant text not null,
  feed_id text not null,
  bucket text not null,
  key text collate "C" not null,
  -- How it was read: a hash of the file's settings and the feed's version.
  reading text not null,
  etag text not null,
  version_id text not null,
  size bigint not null,
  object_ordinal bigint not null,
  workflow_id text not null,
  load_time timestamptz not null default now(),
  primary key (tenant, feed_id, bucket, key, reading)
);

-- The same content under another name.
create index loaded_file_by_etag on loaded_file (tenant, feed_id, etag, size);
create index loaded_file_by_workflow on loaded_file (tenant, feed_id, workflow_id);

-- Objects of a frozen manifest that are not loaded into a feed, because its table has their rows.
create table unchanged_object (
  tenant text not null,
  workflow_id text not null,
  feed_id text not null,
  page integer not null,
  position integer not null,
  primary key (tenant, workflow_id, feed_id, page, position),
  foreign key (tenant, workflow_id) references workflow (tenant, id) on delete cascade
);
