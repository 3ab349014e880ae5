-- What changed a domain table, and what is known of its rows before and after: so that it can be told, and taken back.
alter table load_record
  add column change text not null default 'load',
  add column rows_before bigint,
  add column rows_after bigint,
  add column own_rows bigint not null default 0,
  -- Whether the table that was replaced is kept.
  add column kept boolean not null default false,
  add column undone_by text,
  add column undoes text,
  -- The first object that came after all rows were deleted.
  add column first_ordinal bigint;

alter table publish_intent add column rows_before bigint;
