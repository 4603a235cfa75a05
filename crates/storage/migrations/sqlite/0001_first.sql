-- Ids are the 16 bytes of their ULID or UUID, times are milliseconds since 1970. What the configuration is made of comes
-- first, with foreign keys; what flows comes second, without: those rows outlive their parents, and every microsecond
-- counts there.
-- The last table columns of the flowing rows are the large ones, so that lists never read them.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE environments (
    seq        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE integrations (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    environment_id BLOB NOT NULL REFERENCES environments (id),
    key            TEXT NOT NULL,
    client_id      TEXT NOT NULL,
    client_secret  BLOB NOT NULL, -- sealed
    webhook_secret BLOB NOT NULL, -- sealed
    login_url      TEXT NOT NULL,
    graph_url      TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    UNIQUE (environment_id, key)
) STRICT;

CREATE TABLE connections (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    environment_id BLOB NOT NULL REFERENCES environments (id),
    integration_id BLOB NOT NULL REFERENCES integrations (id),
    tenant_id      BLOB NOT NULL,
    broken_reason  TEXT,
    broken_since   INTEGER,
    intent         TEXT NOT NULL, -- 'kept', 'disabled', 'deleting'
    intent_since   INTEGER,
    due_at         INTEGER NOT NULL, -- when its subscriptions are next looked at as a whole
    listed_at      INTEGER, -- when Graph was last asked which subscriptions it has
    created_at     INTEGER NOT NULL,
    UNIQUE (integration_id, tenant_id)
) STRICT;
CREATE INDEX connections_of_environment ON connections (environment_id, seq);
CREATE INDEX connections_due ON connections (due_at);

-- Wishes for subscriptions to many resources, for a connection or for all of an integration.
CREATE TABLE policies (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    environment_id BLOB NOT NULL REFERENCES environments (id),
    integration_id BLOB NOT NULL REFERENCES integrations (id) ON DELETE CASCADE,
    connection_id  BLOB REFERENCES connections (id) ON DELETE CASCADE,
    resource       TEXT NOT NULL,
    change_types   TEXT NOT NULL,
    deliver_existing INTEGER NOT NULL,
    deleting       INTEGER NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX policies_of_environment ON policies (environment_id, seq);
CREATE INDEX policies_of_integration ON policies (integration_id);
CREATE INDEX policies_of_connection ON policies (connection_id) WHERE connection_id IS NOT NULL;

-- How far each policy has come with each connection that it holds for.
CREATE TABLE expansions (
    seq           INTEGER PRIMARY KEY,
    policy_id     BLOB NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    connection_id BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    due_at        INTEGER NOT NULL,
    enumeration   INTEGER NOT NULL,
    enumerating   INTEGER NOT NULL,
    link          TEXT, -- where to go on
    checked_at    INTEGER,
    finished_at   INTEGER,
    passed_over   INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    last_error    TEXT,
    UNIQUE (policy_id, connection_id)
) STRICT;
CREATE INDEX expansions_due ON expansions (due_at);
CREATE INDEX expansions_of_connection ON expansions (connection_id);

CREATE TABLE subscriptions (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    environment_id BLOB NOT NULL REFERENCES environments (id),
    integration_id BLOB NOT NULL REFERENCES integrations (id),
    connection_id  BLOB NOT NULL REFERENCES connections (id),
    policy_id      BLOB REFERENCES policies (id), -- that made it
    policy_seen    INTEGER NOT NULL, -- the last pass over all there are that had it
    resource       TEXT NOT NULL,
    kind           TEXT NOT NULL,
    change_types   TEXT NOT NULL,
    state          TEXT NOT NULL,
    client_state   BLOB NOT NULL, -- sealed
    graph_id       TEXT,
    expires_at     INTEGER,
    due_at         INTEGER NOT NULL,
    failures       INTEGER NOT NULL,
    last_error     TEXT,
    created_at     INTEGER NOT NULL,
    renewed_at     INTEGER,
    deliver_existing INTEGER NOT NULL,
    -- What Graph's lifecycle notifications said and has not been seen to, and how many there ever were.
    lifecycle_reauthorize INTEGER NOT NULL,
    lifecycle_removed     INTEGER NOT NULL,
    lifecycle_count       INTEGER NOT NULL,
    patched_at       INTEGER,
    notification_url TEXT, -- as Graph was told, where that is known
    lifecycle_url    TEXT,
    former_graph_id  TEXT, -- the one at Graph before this one
    former_since     INTEGER,
    UNIQUE (connection_id, resource, change_types)
) STRICT;
CREATE INDEX subscriptions_due ON subscriptions (due_at);
CREATE INDEX subscriptions_of_environment ON subscriptions (environment_id, seq);
CREATE INDEX subscriptions_of_integration ON subscriptions (integration_id);
CREATE INDEX subscriptions_of_connection ON subscriptions (connection_id, seq);
CREATE INDEX subscriptions_of_policy ON subscriptions (policy_id, connection_id, policy_seen) WHERE policy_id IS NOT NULL;

-- Subscriptions that are gone while what was known of their items still is to be removed, slice by slice.
CREATE TABLE deleted_subscriptions (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Where comparing with Graph stands, of those subscriptions that are reconciled at all.
CREATE TABLE reconciles (
    seq              INTEGER PRIMARY KEY,
    subscription_id  BLOB NOT NULL UNIQUE REFERENCES subscriptions (id) ON DELETE CASCADE,
    due_at           INTEGER NOT NULL,
    reason           TEXT NOT NULL,
    asked_at         INTEGER NOT NULL,
    deliver_existing INTEGER NOT NULL,
    started_at       INTEGER, -- NULL between rounds
    finished_at      INTEGER, -- NULL before the first whole round
    finds            INTEGER NOT NULL,
    failures         INTEGER NOT NULL,
    last_error       TEXT,
    silent_since     INTEGER, -- while Graph tells of nothing for longer than it used to
    silence_told     INTEGER NOT NULL DEFAULT 0,
    patience         INTEGER NOT NULL DEFAULT 0 -- in hours
) STRICT;
CREATE INDEX reconciles_due ON reconciles (due_at);

CREATE TABLE reconcile_scopes (
    seq             INTEGER PRIMARY KEY,
    subscription_id BLOB NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    name            TEXT NOT NULL, -- Graph's id of the folder; empty where there is but one scope
    link            TEXT, -- where to go on
    enumeration     INTEGER NOT NULL,
    enumerating     INTEGER NOT NULL,
    window_from     INTEGER,
    window_to       INTEGER,
    UNIQUE (subscription_id, name)
) STRICT;

-- How many changes became known on a day since 1970 (UTC), and how.
CREATE TABLE subscription_days (
    seq             INTEGER PRIMARY KEY,
    subscription_id BLOB NOT NULL,
    day             INTEGER NOT NULL,
    on_time         INTEGER NOT NULL,
    late            INTEGER NOT NULL,
    found           INTEGER NOT NULL,
    hours           INTEGER NOT NULL, -- bit by bit, in which of them Graph told of a change
    UNIQUE (subscription_id, day)
) STRICT;
CREATE INDEX subscription_days_old ON subscription_days (day);

CREATE TABLE webhooks (
    seq             INTEGER PRIMARY KEY,
    id              BLOB NOT NULL UNIQUE,
    environment_id  BLOB NOT NULL REFERENCES environments (id),
    url             BLOB NOT NULL, -- sealed: its query may hold a secret
    description     TEXT NOT NULL,
    triggers        TEXT NOT NULL, -- names with commas between
    connections     TEXT NOT NULL, -- ids with commas between; empty means all
    secret          BLOB NOT NULL, -- sealed
    disabled_reason TEXT,
    disabled_since  INTEGER,
    failing_since   INTEGER,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_of_environment ON webhooks (environment_id, seq);

-- Webhooks that are gone while deliveries to them still are to be removed, slice by slice.
CREATE TABLE deleted_webhooks (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    environment_id BLOB REFERENCES environments (id),
    name           TEXT NOT NULL,
    scope          TEXT NOT NULL,
    prefix         TEXT NOT NULL,
    hash           BLOB NOT NULL UNIQUE,
    created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX keys_of_environment ON keys (environment_id, seq);

-- When somebody was at work last, and since when nobody had been, as long as nothing has followed from that.
CREATE TABLE alive (
    at         INTEGER,
    away_since INTEGER
) STRICT;
INSERT INTO alive VALUES (NULL, NULL);

CREATE TABLE notifications (
    seq                   INTEGER PRIMARY KEY,
    id                    BLOB NOT NULL UNIQUE,
    environment_id        BLOB NOT NULL,
    integration_id        BLOB NOT NULL,
    origin                TEXT NOT NULL, -- 'notification', 'reconcile'
    received_at           INTEGER NOT NULL,
    verdict               TEXT NOT NULL,
    connection_id         BLOB,
    subscription_id       BLOB,
    graph_subscription_id TEXT,
    tenant_id             BLOB,
    change_type           TEXT,
    lifecycle_event       TEXT,
    resource              TEXT NOT NULL,
    etag                  TEXT,
    dedup_key             BLOB, -- of those accepted as they came
    checksum              INTEGER NOT NULL, -- of the item: SQLite has none for what stands in its pages
    item                  BLOB NOT NULL
) STRICT;
CREATE INDEX notifications_of_connection ON notifications (connection_id, seq) WHERE connection_id IS NOT NULL;
-- Both hold few rows: the rejected are bounded, duplicates are rare. Accepted ones cost them nothing; NOT IN would make
-- SQLite build a table of its list for each row that is written.
CREATE INDEX notifications_rejected ON notifications (integration_id, seq)
    WHERE verdict <> 'accepted' AND verdict <> 'duplicate' AND verdict <> 'held';
CREATE INDEX notifications_not_accepted ON notifications (verdict, seq) WHERE verdict <> 'accepted';

-- How many rejected notifications are kept of each integration: counting them at every POST would be dear.
CREATE TABLE rejected (
    integration_id BLOB PRIMARY KEY,
    kept           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The dedup keys, but for the newest: those stand with their notifications, behind the place that `meta` knows as
-- `dedup_sorted_through`. A row of `dedup` is a part of a run: keys of 16 bytes, sorted, one after the other.
CREATE TABLE dedup (
    place INTEGER PRIMARY KEY, -- the run's number, and in the lower 32 bits the part's
    keys  BLOB NOT NULL
) STRICT;

CREATE TABLE dedup_runs (
    run    INTEGER PRIMARY KEY,
    level  INTEGER NOT NULL,
    newest INTEGER NOT NULL, -- when the newest of its keys was claimed
    state  TEXT NOT NULL -- 'making', 'whole', 'going'
) STRICT;

-- Keys of notifications that were accepted later than they came, until they are in a run.
CREATE TABLE dedup_late (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL
) STRICT;

-- What enrich has to do. A row goes when it is done.
CREATE TABLE queue (
    seq               INTEGER PRIMARY KEY, -- of the notification
    due_at            INTEGER NOT NULL,
    failures          INTEGER NOT NULL,
    client_state_hash BLOB -- of held ones
) STRICT;

CREATE TABLE events (
    seq             INTEGER PRIMARY KEY,
    id              BLOB NOT NULL UNIQUE,
    environment_id  BLOB NOT NULL,
    connection_id   BLOB NOT NULL,
    subscription_id BLOB,
    notification_id BLOB, -- NULL where it says what became of a subscription
    trigger         TEXT NOT NULL,
    subject         TEXT NOT NULL,
    object_state    TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    checksum        INTEGER NOT NULL, -- of the body
    body            BLOB NOT NULL
) STRICT;
CREATE INDEX events_of_connection ON events (connection_id, seq);

-- Written in the order of their events: those of one stand together, and need no index.
CREATE TABLE deliveries (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE,
    environment_id BLOB NOT NULL,
    event_seq      INTEGER NOT NULL,
    webhook_id     BLOB NOT NULL,
    state          TEXT NOT NULL, -- 'pending' (held, if its webhook is disabled), 'delivered', 'dead'
    dead_reason    TEXT,
    attempts       INTEGER NOT NULL,
    due_at         INTEGER,
    last_status    INTEGER,
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER
) STRICT;
-- The queue of deliver: the happy path touches it twice, at the making and at the end.
CREATE INDEX deliveries_pending ON deliveries (webhook_id, due_at, seq) WHERE state = 'pending';
CREATE INDEX deliveries_dead ON deliveries (seq) WHERE state = 'dead';
CREATE INDEX deliveries_dead_of_webhook ON deliveries (webhook_id, seq) WHERE state = 'dead';
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, seq);

-- What is known of the items that subscriptions watch. Nearly every event touches a row, so a row is found by its key
-- alone and lies with those of its subscription; what an event changes stands in no index.
CREATE TABLE known_items (
    subscription_id BLOB NOT NULL,
    item            TEXT NOT NULL, -- Graph's id
    scope           TEXT NOT NULL,
    enumeration     INTEGER NOT NULL,
    seen            BLOB,
    told            INTEGER NOT NULL,
    version         BLOB,
    PRIMARY KEY (subscription_id, item)
) STRICT, WITHOUT ROWID;
-- Where there is but one scope, its items are all of the subscription's.
CREATE INDEX known_items_of_scope ON known_items (subscription_id, scope, item) WHERE scope <> '';

CREATE TABLE attempts (
    seq          INTEGER PRIMARY KEY, -- delivery_seq << 20, and the number among all of that delivery from 0
    id           BLOB NOT NULL,
    delivery_seq INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    took_ms      INTEGER NOT NULL,
    outcome      TEXT NOT NULL,
    status       INTEGER,
    error        TEXT,
    answer       BLOB NOT NULL
) STRICT;
