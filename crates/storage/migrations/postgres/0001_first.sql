-- Ids are text as displayed, times are milliseconds since 1970. What the configuration is made of comes first, with
-- foreign keys; what flows comes second, without: those rows outlive their parents, and every microsecond counts there.
-- Text cannot hold NUL here; the store writes U+FFFD for it. What was received or is delivered is bytes, and is kept as
-- it came.

CREATE TABLE meta (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);

-- The database's own time: leases are measured by it, so that no two nodes' clocks are ever compared.
CREATE FUNCTION database_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

-- --- many nodes ---

CREATE TABLE nodes (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    started_at bigint NOT NULL, -- by the database's clock, as all here
    seen_at    bigint NOT NULL
);

-- Who works on what. Whoever writes down what came of work locks the row (FOR KEY SHARE) and compares node and epoch in
-- the same statement; whoever takes a shard over locks it FOR UPDATE, and so waits for those, and they for him. A renewal
-- touches no key column and waits for neither.
CREATE TABLE shards (
    shard      smallint PRIMARY KEY,
    node       text,
    epoch      bigint NOT NULL,
    expires_at bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
INSERT INTO shards (shard, node, epoch, expires_at) SELECT shard, NULL, 0, 0 FROM generate_series(0, 63) AS shard;

-- What was changed in what is configured, in the order of the commits: the counter's row is locked until then.
CREATE TABLE change_counter (
    value bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO change_counter VALUES (0);
CREATE TABLE changes (
    number bigint PRIMARY KEY,
    at     bigint NOT NULL, -- by the database's clock
    node   text NOT NULL, -- who did it, and so knows
    kind   text NOT NULL,
    id     text NOT NULL
);

-- --- what is configured ---

CREATE TABLE environments (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text NOT NULL UNIQUE,
    name       text NOT NULL UNIQUE,
    created_at bigint NOT NULL
);

CREATE TABLE integrations (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text NOT NULL UNIQUE,
    environment_id text NOT NULL REFERENCES environments (id),
    key            text NOT NULL,
    client_id      text NOT NULL,
    client_secret  bytea NOT NULL, -- sealed
    webhook_secret bytea NOT NULL, -- sealed
    login_url      text NOT NULL,
    graph_url      text NOT NULL,
    created_at     bigint NOT NULL,
    UNIQUE (environment_id, key)
);

CREATE TABLE connections (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text NOT NULL UNIQUE,
    environment_id text NOT NULL REFERENCES environments (id),
    integration_id text NOT NULL REFERENCES integrations (id),
    tenant_id      text NOT NULL,
    broken_reason  text,
    broken_since   bigint,
    intent         text NOT NULL, -- 'kept', 'disabled', 'deleting'
    intent_since   bigint,
    due_at         bigint NOT NULL, -- when its subscriptions are next looked at as a whole
    listed_at      bigint, -- when Graph was last asked which subscriptions it has
    created_at     bigint NOT NULL,
    shard          smallint NOT NULL, -- of what belongs to the tenant and to no mailbox
    UNIQUE (integration_id, tenant_id)
);
CREATE INDEX connections_of_environment ON connections (environment_id, seq);
CREATE INDEX connections_due ON connections (due_at);

-- Wishes for subscriptions to many resources, for a connection or for all of an integration.
CREATE TABLE policies (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text NOT NULL UNIQUE,
    environment_id text NOT NULL REFERENCES environments (id),
    integration_id text NOT NULL REFERENCES integrations (id) ON DELETE CASCADE,
    connection_id  text REFERENCES connections (id) ON DELETE CASCADE,
    resource       text NOT NULL,
    change_types   text NOT NULL,
    deliver_existing boolean NOT NULL,
    deleting       boolean NOT NULL,
    created_at     bigint NOT NULL
);
CREATE INDEX policies_of_environment ON policies (environment_id, seq);
CREATE INDEX policies_of_integration ON policies (integration_id);
CREATE INDEX policies_of_connection ON policies (connection_id) WHERE connection_id IS NOT NULL;

-- How far each policy has come with each connection that it holds for.
CREATE TABLE expansions (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy_id     text NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    connection_id text NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    due_at        bigint NOT NULL,
    enumeration   bigint NOT NULL,
    enumerating   boolean NOT NULL,
    link          text, -- where to go on
    checked_at    bigint,
    finished_at   bigint,
    passed_over   bigint NOT NULL,
    failures      integer NOT NULL,
    last_error    text,
    shard         smallint NOT NULL, -- of its connection
    UNIQUE (policy_id, connection_id)
);
CREATE INDEX expansions_due ON expansions (due_at);
CREATE INDEX expansions_of_connection ON expansions (connection_id);

CREATE TABLE subscriptions (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text NOT NULL UNIQUE,
    environment_id text NOT NULL REFERENCES environments (id),
    integration_id text NOT NULL REFERENCES integrations (id),
    connection_id  text NOT NULL REFERENCES connections (id),
    policy_id      text REFERENCES policies (id), -- that made it
    policy_seen    bigint NOT NULL, -- the last pass over all there are that had it
    resource       text NOT NULL,
    kind           text NOT NULL,
    change_types   text NOT NULL,
    state          text NOT NULL,
    client_state   bytea NOT NULL, -- sealed
    graph_id       text,
    expires_at     bigint,
    due_at         bigint NOT NULL,
    failures       integer NOT NULL,
    last_error     text,
    created_at     bigint NOT NULL,
    renewed_at     bigint,
    deliver_existing boolean NOT NULL,
    -- What Graph's lifecycle notifications said and has not been seen to, and how many there ever were.
    lifecycle_reauthorize boolean NOT NULL,
    lifecycle_removed     boolean NOT NULL,
    lifecycle_count       bigint NOT NULL,
    patched_at       bigint,
    notification_url text, -- as Graph was told, where that is known
    lifecycle_url    text,
    former_graph_id  text, -- the one at Graph before this one
    former_since     bigint,
    shard          smallint NOT NULL,
    UNIQUE (connection_id, resource, change_types)
);
CREATE INDEX subscriptions_due ON subscriptions (due_at);
CREATE INDEX subscriptions_of_environment ON subscriptions (environment_id, seq);
CREATE INDEX subscriptions_of_integration ON subscriptions (integration_id);
CREATE INDEX subscriptions_of_connection ON subscriptions (connection_id, seq);
CREATE INDEX subscriptions_of_policy ON subscriptions (policy_id, connection_id, policy_seen) WHERE policy_id IS NOT NULL;

-- Subscriptions that are gone while what was known of their items still is to be removed, slice by slice.
CREATE TABLE deleted_subscriptions (
    id         text PRIMARY KEY,
    deleted_at bigint NOT NULL -- by the database's clock
);

-- Where comparing with Graph stands, of those subscriptions that are reconciled at all.
CREATE TABLE reconciles (
    seq              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id  text NOT NULL UNIQUE REFERENCES subscriptions (id) ON DELETE CASCADE,
    due_at           bigint NOT NULL,
    reason           text NOT NULL,
    asked_at         bigint NOT NULL,
    deliver_existing boolean NOT NULL,
    started_at       bigint, -- NULL between rounds
    finished_at      bigint, -- NULL before the first whole round
    finds            bigint NOT NULL,
    failures         integer NOT NULL,
    last_error       text,
    silent_since     bigint, -- while Graph tells of nothing for longer than it used to
    silence_told     boolean NOT NULL DEFAULT false,
    patience         integer NOT NULL DEFAULT 0, -- in hours
    shard            smallint NOT NULL -- the subscription's
);
CREATE INDEX reconciles_due ON reconciles (shard, due_at, seq);

CREATE TABLE reconcile_scopes (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id text NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    name            text NOT NULL, -- Graph's id of the folder; empty where there is but one scope
    link            text, -- where to go on
    enumeration     bigint NOT NULL,
    enumerating     boolean NOT NULL,
    window_from     bigint,
    window_to       bigint,
    UNIQUE (subscription_id, name)
);

-- How many changes became known on a day since 1970 (UTC), and how.
CREATE TABLE subscription_days (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id text NOT NULL,
    day             bigint NOT NULL,
    on_time         bigint NOT NULL,
    late            bigint NOT NULL,
    found           bigint NOT NULL,
    hours           integer NOT NULL, -- bit by bit, in which of them Graph told of a change
    UNIQUE (subscription_id, day)
) WITH (fillfactor = 70);
CREATE INDEX subscription_days_old ON subscription_days (day);

CREATE TABLE webhooks (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              text NOT NULL UNIQUE,
    environment_id  text NOT NULL REFERENCES environments (id),
    url             bytea NOT NULL, -- sealed: its query may hold a secret
    description     text NOT NULL,
    triggers        text NOT NULL, -- names with commas between
    connections     text NOT NULL, -- ids with commas between; empty means all
    secret          bytea NOT NULL, -- sealed
    disabled_reason text,
    disabled_since  bigint,
    failing_since   bigint,
    created_at      bigint NOT NULL,
    shard           smallint NOT NULL
);
CREATE INDEX webhooks_of_environment ON webhooks (environment_id, seq);

-- Webhooks that are gone while deliveries to them still are to be removed, slice by slice.
CREATE TABLE deleted_webhooks (
    id         text PRIMARY KEY,
    deleted_at bigint NOT NULL -- by the database's clock
);

CREATE TABLE keys (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text NOT NULL UNIQUE,
    environment_id text REFERENCES environments (id),
    name           text NOT NULL,
    scope          text NOT NULL,
    prefix         text NOT NULL,
    hash           bytea NOT NULL UNIQUE,
    created_at     bigint NOT NULL
);
CREATE INDEX keys_of_environment ON keys (environment_id, seq);

-- When somebody was at work last, and since when nobody had been, as long as nothing has followed from that.
CREATE TABLE alive (
    at         bigint,
    away_since bigint
) WITH (fillfactor = 10);
INSERT INTO alive VALUES (NULL, NULL);

-- --- what flows ---

CREATE SEQUENCE notifications_seq;
CREATE TABLE notifications (
    seq                   bigint PRIMARY KEY,
    id                    text NOT NULL UNIQUE,
    environment_id        text NOT NULL,
    integration_id        text NOT NULL,
    origin                text NOT NULL, -- 'notification', 'reconcile'
    received_at           bigint NOT NULL,
    verdict               text NOT NULL,
    connection_id         text,
    subscription_id       text,
    graph_subscription_id text,
    tenant_id             text,
    change_type           text,
    lifecycle_event       text,
    resource              text NOT NULL,
    etag                  text,
    checksum              bigint NOT NULL, -- of the item, from before it left the node
    item                  bytea NOT NULL
);
CREATE INDEX notifications_of_connection ON notifications (connection_id, seq) WHERE connection_id IS NOT NULL;
-- Both hold few rows: the rejected are bounded, duplicates are rare. Accepted ones cost them nothing.
CREATE INDEX notifications_rejected ON notifications (integration_id, seq)
    WHERE verdict NOT IN ('accepted', 'duplicate', 'held');
CREATE INDEX notifications_not_accepted ON notifications (verdict, seq) WHERE verdict <> 'accepted';

-- How many rejected notifications are kept of each integration: counting them at every POST would be dear.
CREATE TABLE rejected (
    integration_id text PRIMARY KEY,
    kept           bigint NOT NULL
) WITH (fillfactor = 50);

-- Three tables of dedup keys take turns, a day each: a key is looked for in today's and yesterday's, and the third is
-- emptied at one stroke before its turn comes.
CREATE TABLE dedup (
    turn smallint NOT NULL,
    key  bytea NOT NULL,
    PRIMARY KEY (turn, key)
) PARTITION BY LIST (turn);
CREATE TABLE dedup_0 PARTITION OF dedup FOR VALUES IN (0);
CREATE TABLE dedup_1 PARTITION OF dedup FOR VALUES IN (1);
CREATE TABLE dedup_2 PARTITION OF dedup FOR VALUES IN (2);

-- What enrich has to do. A row goes when it is done; the reader begins where it ended, so that what is dead at the front
-- is not walked through again and again. Narrow, and vacuumed early.
CREATE TABLE queue (
    seq               bigint PRIMARY KEY, -- of the notification
    due_at            bigint NOT NULL,
    shard             smallint NOT NULL,
    failures          integer NOT NULL,
    client_state_hash bytea -- of held ones
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 1, autovacuum_analyze_scale_factor = 0.1);

-- Parts of a day each, so that old days can be dropped instead of deleted. `created_at` is that of its deliveries too:
-- they find it by both.
CREATE SEQUENCE events_seq;
CREATE TABLE events (
    seq             bigint NOT NULL,
    id              text NOT NULL,
    environment_id  text NOT NULL,
    connection_id   text NOT NULL,
    subscription_id text,
    notification_id text, -- NULL where it says what became of a subscription
    trigger         text NOT NULL,
    subject         text NOT NULL,
    object_state    text NOT NULL,
    created_at      bigint NOT NULL,
    checksum        bigint NOT NULL, -- of the body
    body            bytea NOT NULL,
    PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX events_by_id ON events (id);
CREATE INDEX events_of_connection ON events (connection_id, seq);
-- What no day was made for: its clock was wrong, or nobody made days ahead.
CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE SEQUENCE deliveries_seq;
CREATE TABLE deliveries (
    seq            bigint PRIMARY KEY,
    id             text NOT NULL UNIQUE,
    environment_id text NOT NULL,
    event_seq      bigint NOT NULL,
    webhook_id     text NOT NULL,
    state          text NOT NULL, -- 'pending' (held, if its webhook is disabled), 'delivered', 'dead'
    dead_reason    text,
    attempts       integer NOT NULL,
    due_at         bigint,
    last_status    integer,
    created_at     bigint NOT NULL, -- the event's: it is found by it
    finished_at    bigint
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 1, autovacuum_analyze_scale_factor = 0.05);
-- The queue of deliver: the happy path touches it twice, at the making and at the end.
CREATE INDEX deliveries_pending ON deliveries (webhook_id, due_at, seq) WHERE state = 'pending';
CREATE INDEX deliveries_dead ON deliveries (seq) WHERE state = 'dead';
CREATE INDEX deliveries_dead_of_webhook ON deliveries (webhook_id, seq) WHERE state = 'dead';
CREATE INDEX deliveries_of_event ON deliveries (event_seq);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, seq);

-- What is known of the items that subscriptions watch. Nearly every event touches a row; what it changes stands in no
-- index, and there is room for it in the same page. Ids are compared by their bytes, as everywhere else.
CREATE TABLE known_items (
    subscription_id text NOT NULL,
    item            text COLLATE "C" NOT NULL, -- Graph's id
    scope           text COLLATE "C" NOT NULL,
    enumeration     bigint NOT NULL,
    seen            bytea,
    told            boolean NOT NULL,
    version         bytea,
    PRIMARY KEY (subscription_id, item)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
-- Where there is but one scope, its items are all of the subscription's.
CREATE INDEX known_items_of_scope ON known_items (subscription_id, scope, item) WHERE scope <> '';

CREATE TABLE attempts (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text NOT NULL,
    delivery_seq bigint NOT NULL,
    number       integer NOT NULL,
    started_at   bigint NOT NULL,
    took_ms      bigint NOT NULL,
    outcome      text NOT NULL,
    status       integer,
    error        text,
    answer       bytea NOT NULL,
    -- An attempt that is recorded twice (its first recording was in doubt) stands once.
    UNIQUE (delivery_seq, id)
);
