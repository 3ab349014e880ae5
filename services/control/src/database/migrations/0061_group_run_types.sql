-- What a run does: 'full', 'refresh' or 'source'. It takes the place of ingest_only, of runs and of schedules.
alter table group_run add column run_type text not null default 'full';
update group_run set run_type = 'source' where ingest_only;
-- A run that only runs couriers has no tables.
delete from group_run_refresh using group_run
  where group_run.tenant = group_run_refresh.tenant and group_run.id = group_run_refresh.run_id
    and group_run.ingest_only;
alter table group_run drop column ingest_only;
alter table group_run alter column run_type drop default;

update courier_group
  set spec = jsonb_set(spec #- '{schedule,ingestOnly}', '{schedule,runType}', '"RUN_TYPE_SOURCE"')
  where spec #> '{schedule,ingestOnly}' = 'true';

-- Whether its couriers load all that is there, each object for its own day.
alter table group_run add column everything boolean not null default false;
