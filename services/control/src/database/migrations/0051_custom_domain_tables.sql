create table custom_domain_table (
  tenant text not null,
  id text not null,
  source_id text not null,
  name text not null,
  name_key text collate "C" not null,
  -- The table as proto JSON, without what the columns beside it hold.
  spec jsonb not null,
  -- The columns that the last publish found, as a list of proto JSON.
  columns jsonb not null default '[]',
  etag text not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  primary key (tenant, id),
  constraint custom_domain_table_name_taken unique (tenant, source_id, name_key),
  constraint custom_domain_table_source foreign key (tenant, source_id) references source (tenant, id)
);
