"""An HTTP/1.1 client that sends exact bytes, to addresses that a guard has let pass.

It knows nothing of callbacks: of `core` it imports what a request, an answer and a way out are,
and nothing of delivery. Start reading at `http_sender`; `connector`, `dialer` and
`http_connection` are what it does in turn.
"""
