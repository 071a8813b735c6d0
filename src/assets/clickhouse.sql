-- Tables for what tlscope reports of handshakes, and the questions that operators ask of them. The JSON lines (`--format json`) go in like
-- this; log records come from an OpenTelemetry Collector.
--
--   tlscope print clickhouse | clickhouse-client --multiquery
--   clickhouse-client --query "INSERT INTO tlscope.lines (line) FORMAT LineAsString" < events.jsonl
--
-- The queries at the end run on an empty table as well.
CREATE DATABASE IF NOT EXISTS tlscope;
CREATE TABLE IF NOT EXISTS tlscope.handshakes (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    host LowCardinality(String),
    service LowCardinality(String),
    server String,
    server_port UInt16,
    client String,
    client_identity LowCardinality(String),
    outcome LowCardinality(String),
    evidence LowCardinality(String),
    error_type LowCardinality(String),
    error_side LowCardinality(String),
    error_message String CODEC(ZSTD),
    rejected_after LowCardinality(String),
    version LowCardinality(String),
    cipher_suite LowCardinality(String),
    key_exchange LowCardinality(String),
    offered_versions Array(UInt16),
    client_certificate LowCardinality(String),
    handshake_ms Nullable(Float64),
    certificate LowCardinality(String),
    certificate_issuer LowCardinality(String),
    certificate_not_after DateTime64(0, 'UTC'),
    ja4 LowCardinality(String),
    flow_id String,
    community_id String,
    saved_to String CODEC(ZSTD)
) ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (service, outcome, time) TTL toDateTime(time) + INTERVAL 90 DAY;

-- Lines go in here; the view takes them apart. The table itself stores nothing.
CREATE TABLE IF NOT EXISTS tlscope.lines (line String, host String DEFAULT '') ENGINE = Null;
CREATE MATERIALIZED VIEW IF NOT EXISTS tlscope.lines_to_handshakes TO tlscope.handshakes AS
SELECT
    parseDateTime64BestEffortOrZero(JSONExtractString(line, 'time'), 9, 'UTC') AS time,
    host,
    if(JSONExtractString(line, 'tls', 'server_name') != '', JSONExtractString(line, 'tls', 'server_name'), server) AS service,
    JSONExtractString(line, 'server', 'address') AS server,
    JSONExtractUInt(line, 'server', 'port') AS server_port,
    JSONExtractString(line, 'client', 'address') AS client,
    JSONExtractString(line, 'client_certificates', 1, 'identity') AS client_identity,
    JSONExtractString(line, 'outcome') AS outcome,
    JSONExtractString(line, 'evidence') AS evidence,
    JSONExtractString(line, 'error', 'type') AS error_type,
    JSONExtractString(line, 'error', 'side') AS error_side,
    JSONExtractString(line, 'error', 'message') AS error_message,
    JSONExtractString(line, 'rejected_after', 'type') AS rejected_after,
    JSONExtractString(line, 'tls', 'version') AS version,
    JSONExtractString(line, 'tls', 'cipher_suite') AS cipher_suite,
    JSONExtractString(line, 'tls', 'key_exchange') AS key_exchange,
    JSONExtract(line, 'tls', 'offered_versions', 'Array(UInt16)') AS offered_versions,
    JSONExtractString(line, 'tls', 'client_certificate') AS client_certificate,
    JSONExtract(line, 'timing_ms', 'handshake', 'Nullable(Float64)') AS handshake_ms,
    JSONExtractString(line, 'server_certificates', 1, 'identity') AS certificate,
    JSONExtractString(line, 'server_certificates', 1, 'issuer_common_name') AS certificate_issuer,
    parseDateTime64BestEffortOrZero(JSONExtractString(line, 'server_certificates', 1, 'not_after'), 0, 'UTC') AS certificate_not_after,
    JSONExtractString(line, 'fingerprint', 'ja4') AS ja4,
    JSONExtractString(line, 'flow_id') AS flow_id,
    JSONExtractString(line, 'community_id') AS community_id,
    JSONExtractString(line, 'saved_to') AS saved_to
FROM tlscope.lines
WHERE JSONExtractString(line, 'type') = 'handshake';

-- Log records of an OpenTelemetry Collector, as OTLP in JSON (`tlscope print collector-config` sends them here).
CREATE TABLE IF NOT EXISTS tlscope.otlp_logs (body String) ENGINE = Null;
CREATE MATERIALIZED VIEW IF NOT EXISTS tlscope.otlp_logs_to_handshakes TO tlscope.handshakes AS
WITH
    -- A value is an object whose key is its type: its text, or the JSON of numbers and lists.
    attributes -> mapFromArrays(
        arrayMap(pair -> JSONExtractString(pair, 'key'), attributes),
        arrayMap(pair -> arrayFirst(text -> text != '', [
            JSONExtractString(pair, 'value', 'stringValue'), JSONExtractString(pair, 'value', 'intValue'),
            JSONExtractRaw(pair, 'value', 'doubleValue'), JSONExtractRaw(pair, 'value', 'arrayValue', 'values')]), attributes)
    ) AS to_map,
    extract(a['tls.server.issuer'], 'CN=([^,+]+)') AS issuer_common_name
SELECT
    fromUnixTimestamp64Nano(toInt64OrZero(JSONExtractString(record, 'timeUnixNano')), 'UTC') AS time,
    resource['host.name'] AS host,
    a['server.address'] AS service,
    a['destination.address'] AS server,
    toUInt16OrZero(a['destination.port']) AS server_port,
    a['client.address'] AS client,
    a['tls.client.identity'] AS client_identity,
    a['result'] AS outcome,
    a['tls.evidence'] AS evidence,
    a['error.type'] AS error_type,
    a['tls.error.side'] AS error_side,
    a['error.message'] AS error_message,
    a['tlscope.rejected_after'] AS rejected_after,
    a['tls.version'] AS version,
    a['tls.cipher_suite'] AS cipher_suite,
    if(a['tls.key_exchange'] != '', a['tls.key_exchange'], 'unknown') AS key_exchange,
    arrayMap(name -> transform(name, ['TLS 1.3', 'TLS 1.2', 'TLS 1.1', 'TLS 1.0', 'SSL 3.0', 'SSL 2.0'], [772, 771, 770, 769, 768, 2], 0),
        extractAll(a['tls.client.offered_versions'], '"stringValue":"([^"]+)"')) AS offered_versions,
    a['tls.client_certificate'] AS client_certificate,
    toFloat64OrNull(a['tls.phase.handshake']) AS handshake_ms,
    a['tls.server.identity'] AS certificate,
    if(issuer_common_name != '', issuer_common_name, a['tls.server.issuer']) AS certificate_issuer,
    parseDateTime64BestEffortOrZero(a['tls.server.not_after'], 0, 'UTC') AS certificate_not_after,
    a['tls.client.ja4'] AS ja4,
    a['tlscope.flow_id'] AS flow_id,
    a['tlscope.community_id'] AS community_id,
    a['file.path'] AS saved_to
FROM (
    SELECT record, resource, to_map(JSONExtractArrayRaw(record, 'attributes')) AS a
    FROM (
        SELECT resource, arrayJoin(JSONExtractArrayRaw(scope, 'logRecords')) AS record
        FROM (
            SELECT to_map(JSONExtractArrayRaw(of_resource, 'resource', 'attributes')) AS resource, arrayJoin(JSONExtractArrayRaw(of_resource, 'scopeLogs')) AS scope
            FROM (SELECT arrayJoin(JSONExtractArrayRaw(body, 'resourceLogs')) AS of_resource FROM tlscope.otlp_logs)
        )
    )
)
WHERE a['result'] != '';

-- Failure rate by service.
SELECT service, count() AS handshakes, countIf(outcome = 'failure') AS failed, round(100 * failed / handshakes, 1) AS percent,
       topKIf(2)(error_type, error_type != '') AS causes
FROM tlscope.handshakes GROUP BY service HAVING handshakes >= 5 ORDER BY percent DESC, handshakes DESC LIMIT 5;

-- Who offers no more than TLS 1.1. GREASE values and those of DTLS are above 772.
SELECT client, ja4, count() AS handshakes, max(time) AS last_seen
FROM tlscope.handshakes
WHERE arrayMax(arrayFilter(v -> v BETWEEN 2 AND 772, offered_versions) AS known) <= 770 AND notEmpty(known)
GROUP BY client, ja4 ORDER BY handshakes DESC LIMIT 5;

-- Certificates that expire next, by what was served last.
SELECT certificate, argMax(certificate_issuer, time) AS issuer, argMax(certificate_not_after, time) AS expires, uniq(server) AS servers
FROM tlscope.handshakes WHERE certificate != '' GROUP BY certificate ORDER BY expires LIMIT 5;

-- Post-quantum share by service.
SELECT service, count() AS handshakes, round(100 * countIf(key_exchange IN ('pq_hybrid', 'pq')) / handshakes, 1) AS post_quantum_percent
FROM tlscope.handshakes WHERE key_exchange NOT IN ('', 'unknown') GROUP BY service ORDER BY handshakes DESC LIMIT 5;

