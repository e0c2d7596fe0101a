-- Children before parents.
DROP TABLE runtime_source_cursors;
DROP TABLE event_inbox;
DROP TABLE events;
DROP TABLE tokens;
DROP TABLE adapters;
DROP TABLE approvals;
DROP TABLE action_snapshots;
DROP TABLE actions;
DROP TABLE states;
DROP TABLE runtimes;
DROP TABLE panes;
DROP TABLE sessions;
DROP TABLE targets;
DROP TABLE checkpoints;
DROP TABLE journal;
DROP TABLE schema_migrations;
DROP TABLE meta;
