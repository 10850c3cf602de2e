-- Since 0.12 the functions run with the caller's rights, so every role may use the tables.
grant usage on schema net to public;
grant all on all tables in schema net to public;
grant all on all sequences in schema net to public;
