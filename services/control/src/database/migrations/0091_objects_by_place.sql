-- Tasks name an object of the frozen manifest by its place. The primary key has the listing's attempt before the place: a
-- look-up by the place alone reads all entries of its workflow, and a join of all tasks with their objects the square of them.
create index manifest_object_by_place on manifest_object (tenant, workflow_id, page, position);
