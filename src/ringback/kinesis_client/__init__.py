"""Writes the events of Kinesis sinks to AWS, many at a time, with the credentials of each sink.

May import `ports`, `runtime` and `core`; `botocore` is imported only when something is written.
Start with `kinesis_transport`, then `record_writer`.
"""
