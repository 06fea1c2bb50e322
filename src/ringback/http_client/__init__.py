"""An HTTP/1.1 client that sends exact bytes, to addresses that a guard has let pass.

May import `runtime`, and of `core` what requests, answers and ways out are; no callbacks.
Start with `http_sender`; `connector`, `dialer` and `http_connection` come after it in turn.
"""
