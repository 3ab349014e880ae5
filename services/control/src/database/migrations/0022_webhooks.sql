create table webhook (
  tenant text not null,
  id text not null,
  -- Counts all webhooks: what lists are ordered by.
  number bigint generated always as identity,
  url text not null,
  -- The kinds that are posted; all when empty.
  kinds jsonb not null,
  -- The secret that bodies are signed with, sealed.
  key_id text not null,
  wrapped_key bytea not null,
  sealed bytea not null,
  failed_deliveries bigint not null default 0,
  last_error text not null default '',
  last_attempt_time timestamptz,
  create_time timestamptz not null default now(),
  primary key (tenant, id)
);

-- What has yet to be posted; a delivery that was taken, or given up, is gone.
create table webhook_delivery (
  tenant text not null,
  id text not null,
  webhook_id text not null,
  body text not null,
  -- Tries that were begun. Whoever begins the next one counts it first: two replicas never post one at the same time.
  attempts integer not null default 0,
  next_time timestamptz not null default now(),
  create_time timestamptz not null default now(),
  primary key (tenant, id),
  foreign key (tenant, webhook_id) references webhook (tenant, id) on delete cascade
);

create index webhook_delivery_due on webhook_delivery (tenant, next_time);
create index webhook_delivery_by_webhook on webhook_delivery (tenant, webhook_id);
