-- Small objects that are loaded together: the number of the first of their tasks, and how many they are. Both change
-- with what is taken out, before anything of the others is sent; null for what is loaded by itself.
alter table task add unit integer, add unit_tasks integer;

create index task_by_unit on task (tenant, workflow_id, unit) where unit is not null;
