-- The spine: targets, panes, runtimes, events and states, the journal they are the fold of, and
-- the empty tables of what comes next (actions, adapters).
--
-- Times are milliseconds since 1970, UTC, unless the column says otherwise. `row_hash` is a short
-- hash over the other columns of its row; SQLite itself does not notice a flipped bit.
--
-- Words are compared one by one: for `IN` with a list SQLite would build a table with every row.

CREATE TABLE meta (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL,
  row_hash INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE schema_migrations (
  version INTEGER NOT NULL PRIMARY KEY,
  applied_at INTEGER NOT NULL
) STRICT;

-- Append-only. `hash` covers the row and the row before it. Where `kind` is `event_recorded`, it
-- covers the row of `events` with the same number too, and `payload` is what that row has no column
-- for. `body_hash` stands in for the redacted payload of an event that waits, which is kept in
-- `event_inbox` and cleared before the row is pruned.
CREATE TABLE journal (
  seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  body_hash BLOB CHECK (length(body_hash) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX journal_denied ON journal (at) WHERE kind = 'access_denied';

-- What the journal had come to at `seq`: replay starts here once the rows before it are pruned.
CREATE TABLE checkpoints (
  seq INTEGER NOT NULL PRIMARY KEY CHECK (seq >= 0),
  at INTEGER NOT NULL,
  chain_hash BLOB NOT NULL CHECK (length(chain_hash) = 32),
  tables TEXT NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TABLE targets (
  target_id TEXT NOT NULL PRIMARY KEY,
  target_name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind = 'local' OR kind = 'ssh' OR kind = 'command'),
  connection_ref TEXT NOT NULL,
  is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
  last_seen_at INTEGER,
  health TEXT NOT NULL CHECK (health = 'ok' OR health = 'degraded' OR health = 'down'),
  updated_at INTEGER NOT NULL,
  trouble TEXT,
  server TEXT,
  row_hash INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
  target_id TEXT NOT NULL REFERENCES targets (target_id),
  session_id TEXT NOT NULL,
  session_name TEXT NOT NULL,
  attached INTEGER NOT NULL CHECK (attached >= 0),
  created_s INTEGER NOT NULL,
  row_hash INTEGER NOT NULL,
  PRIMARY KEY (target_id, session_id)
) STRICT, WITHOUT ROWID;

-- `facts` is everything one look at tmux told of the pane, as JSON; what has a column of its own
-- beside it is there to be read and filtered.
CREATE TABLE panes (
  target_id TEXT NOT NULL REFERENCES targets (target_id),
  pane_id TEXT NOT NULL,
  tmux_server_boot_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  session_name TEXT NOT NULL,
  window_id TEXT NOT NULL,
  window_name TEXT NOT NULL,
  current_cmd TEXT NOT NULL,
  pane_title TEXT NOT NULL,
  current_path TEXT NOT NULL,
  facts TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_activity_at INTEGER,
  updated_at INTEGER NOT NULL,
  row_hash INTEGER NOT NULL,
  PRIMARY KEY (target_id, pane_id)
) STRICT;

-- Ended runtimes outlive their target, so no key binds them to it.
CREATE TABLE runtimes (
  runtime_id TEXT NOT NULL PRIMARY KEY,
  target_id TEXT NOT NULL,
  pane_id TEXT NOT NULL,
  tmux_server_boot_id TEXT NOT NULL,
  pane_epoch INTEGER NOT NULL CHECK (pane_epoch > 0),
  agent_type TEXT,
  pid INTEGER,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  end_reason TEXT CHECK (end_reason = 'pane_gone' OR end_reason = 'process_exited'
    OR end_reason = 'respawned' OR end_reason = 'exec'
    OR end_reason = 'agent_started' OR end_reason = 'agent_ended'
    OR end_reason = 'server_gone' OR end_reason = 'target_removed'),
  last_state TEXT,
  row_hash INTEGER NOT NULL,
  UNIQUE (target_id, tmux_server_boot_id, pane_id, pane_epoch),
  CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT;

CREATE UNIQUE INDEX runtimes_active ON runtimes (target_id, pane_id) WHERE ended_at IS NULL;
CREATE INDEX runtimes_pane ON runtimes (target_id, pane_id);
CREATE INDEX runtimes_ended ON runtimes (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE states (
  target_id TEXT NOT NULL,
  pane_id TEXT NOT NULL,
  runtime_id TEXT REFERENCES runtimes (runtime_id),
  state TEXT NOT NULL CHECK (state = 'error' OR state = 'waiting_approval'
    OR state = 'waiting_input' OR state = 'running'
    OR state = 'completed' OR state = 'idle' OR state = 'unknown'),
  reason_code TEXT NOT NULL,
  confidence TEXT NOT NULL CHECK (confidence = 'high' OR confidence = 'medium'
    OR confidence = 'low'),
  state_version INTEGER NOT NULL CHECK (state_version > 0),
  state_source TEXT CHECK (state_source = 'hook' OR state_source = 'notify' OR state_source = 'wrapper'
    OR state_source = 'poller' OR state_source = 'status' OR state_source = 'title' OR state_source = 'process'
    OR state_source = 'screen'),
  since INTEGER NOT NULL,
  last_known TEXT,
  last_source_seq INTEGER,
  last_seen_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  row_hash INTEGER NOT NULL,
  PRIMARY KEY (target_id, pane_id),
  FOREIGN KEY (target_id, pane_id) REFERENCES panes (target_id, pane_id)
) STRICT;

CREATE INDEX states_updated ON states (updated_at DESC);
CREATE INDEX states_state ON states (state, updated_at DESC);

CREATE TABLE actions (
  action_id TEXT NOT NULL PRIMARY KEY,
  action_type TEXT NOT NULL CHECK (action_type = 'attach' OR action_type = 'send'
    OR action_type = 'view-output' OR action_type = 'kill' OR action_type = 'respond'),
  request_ref TEXT NOT NULL CHECK (request_ref <> ''),
  target_id TEXT NOT NULL,
  pane_id TEXT NOT NULL,
  runtime_id TEXT NOT NULL REFERENCES runtimes (runtime_id),
  requested_at INTEGER NOT NULL,
  completed_at INTEGER,
  result_code TEXT NOT NULL,
  error_code TEXT,
  metadata_json TEXT NOT NULL,
  row_hash INTEGER NOT NULL,
  UNIQUE (action_type, request_ref)
) STRICT;

CREATE INDEX actions_runtime ON actions (runtime_id);

CREATE TABLE action_snapshots (
  snapshot_id TEXT NOT NULL PRIMARY KEY,
  action_id TEXT NOT NULL UNIQUE REFERENCES actions (action_id),
  target_id TEXT NOT NULL,
  pane_id TEXT NOT NULL,
  runtime_id TEXT NOT NULL,
  state_version INTEGER NOT NULL,
  observed_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  nonce TEXT NOT NULL,
  row_hash INTEGER NOT NULL
) STRICT;

CREATE TABLE approvals (
  approval_id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind = 'permission' OR kind = 'plan' OR kind = 'question'),
  target_id TEXT NOT NULL,
  pane_id TEXT NOT NULL,
  runtime_id TEXT NOT NULL REFERENCES runtimes (runtime_id),
  fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 64),
  opened_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state = 'waiting' OR state = 'answering' OR state = 'answered'
    OR state = 'answered_in_terminal' OR state = 'replaced' OR state = 'expired'
    OR state = 'gone'),
  closed_at INTEGER,
  settled INTEGER NOT NULL CHECK (settled = 0 OR settled = 1),
  action_id TEXT REFERENCES actions (action_id),
  metadata_json TEXT NOT NULL,
  row_hash INTEGER NOT NULL,
  CHECK ((state = 'waiting' OR state = 'answering') = (closed_at IS NULL))
) STRICT;

CREATE INDEX approvals_runtime ON approvals (runtime_id);
CREATE INDEX approvals_opened ON approvals (opened_at);

CREATE TABLE adapters (
  adapter_name TEXT NOT NULL PRIMARY KEY,
  agent_type TEXT NOT NULL UNIQUE,
  version TEXT NOT NULL,
  capabilities TEXT NOT NULL CHECK (json_valid(capabilities)),
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  updated_at INTEGER NOT NULL,
  row_hash INTEGER NOT NULL
) STRICT;

-- What clients over TCP show. The secret is not here: only its SHA-256, in hexadecimal.
CREATE TABLE tokens (
  token_id TEXT NOT NULL PRIMARY KEY,
  token_name TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL CHECK (scope = 'read' OR scope = 'act' OR scope = 'admin'),
  secret_hash TEXT NOT NULL CHECK (length(secret_hash) = 64),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  last_used_at INTEGER,
  row_hash INTEGER NOT NULL
) STRICT;

-- One row for each of the journal's that recorded an event; its hash is in the journal.
-- `action_id` names an action of ours; `source_action_id` is what the source said, known or not.
-- `payload_hash` stands in for a payload that was cleared. `row_hash` is only there where the
-- journal's row is not, in a database that was rebuilt.
--
-- The order of arrival is the order of `journal_seq`. What is as long as its payload comes last, so
-- that the rest of the row is found without it.
CREATE TABLE events (
  journal_seq INTEGER NOT NULL PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  runtime_id TEXT NOT NULL REFERENCES runtimes (runtime_id),
  event_type TEXT NOT NULL,
  source TEXT NOT NULL CHECK (source = 'hook' OR source = 'notify' OR source = 'wrapper'
    OR source = 'poller' OR source = 'status' OR source = 'title' OR source = 'process'
    OR source = 'screen'),
  source_event_id TEXT,
  source_seq INTEGER,
  event_time INTEGER NOT NULL,
  ingested_at INTEGER NOT NULL,
  dedupe_key TEXT NOT NULL CHECK (dedupe_key <> ''),
  action_id TEXT REFERENCES actions (action_id),
  source_action_id TEXT,
  payload_hash BLOB CHECK (length(payload_hash) = 32),
  row_hash INTEGER,
  raw_payload TEXT,
  UNIQUE (runtime_id, source, dedupe_key),
  CHECK (payload_hash IS NULL OR raw_payload IS NULL)
) STRICT;

-- Read backwards for the newest first: an index that grows at its front has pages half empty.
CREATE INDEX events_ingested ON events (ingested_at);
CREATE INDEX events_action ON events (action_id) WHERE action_id IS NOT NULL;

-- `signal` is the event as it came, as JSON, without its payload.
CREATE TABLE event_inbox (
  inbox_id TEXT NOT NULL PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  target_id TEXT NOT NULL,
  pane_id TEXT NOT NULL,
  runtime_id TEXT REFERENCES runtimes (runtime_id),
  event_type TEXT NOT NULL,
  source TEXT NOT NULL CHECK (source = 'hook' OR source = 'notify' OR source = 'wrapper'
    OR source = 'poller' OR source = 'status' OR source = 'title' OR source = 'process'
    OR source = 'screen'),
  dedupe_key TEXT NOT NULL CHECK (dedupe_key <> ''),
  event_time INTEGER NOT NULL,
  ingested_at INTEGER NOT NULL,
  pid INTEGER,
  start_hint INTEGER,
  status TEXT NOT NULL CHECK (status = 'pending_bind' OR status = 'bound'
    OR status = 'dropped_unbound'),
  reason_code TEXT CHECK (reason_code = 'bind_no_candidate'
    OR reason_code = 'bind_ambiguous'
    OR reason_code = 'bind_ttl_expired'),
  signal TEXT NOT NULL,
  raw_payload TEXT,
  journal_seq INTEGER NOT NULL,
  row_hash INTEGER NOT NULL,
  UNIQUE (target_id, pane_id, source, dedupe_key),
  CHECK ((status = 'bound') = (runtime_id IS NOT NULL)),
  CHECK ((status = 'dropped_unbound') = (reason_code IS NOT NULL))
) STRICT;

CREATE INDEX event_inbox_status ON event_inbox (status, ingested_at);
CREATE INDEX event_inbox_runtime ON event_inbox (runtime_id) WHERE runtime_id IS NOT NULL;

-- What each source last said about each active runtime; `voice` is all of it as JSON.
CREATE TABLE runtime_source_cursors (
  runtime_id TEXT NOT NULL REFERENCES runtimes (runtime_id),
  source TEXT NOT NULL CHECK (source = 'hook' OR source = 'notify' OR source = 'wrapper'
    OR source = 'poller' OR source = 'status' OR source = 'title' OR source = 'process'
    OR source = 'screen'),
  last_source_seq INTEGER,
  last_order_event_time INTEGER NOT NULL,
  last_order_ingested_at INTEGER NOT NULL,
  last_order_event_id TEXT NOT NULL,
  voice TEXT NOT NULL,
  row_hash INTEGER NOT NULL,
  PRIMARY KEY (runtime_id, source)
) STRICT;
