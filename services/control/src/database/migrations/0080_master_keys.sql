-- Master keys as a KMS wraps them: one for each of its keys. What wraps them is never here.
create table kms_master_key (
  kms_key text primary key,
  wrapped bytea not null,
  create_time timestamptz not null default now()
);
