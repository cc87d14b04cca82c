-- What the writer's callers say of its trace, beside the trace itself; none if they say nothing.
ALTER TABLE outbox ADD COLUMN tracestate TEXT;
