"""The rim towards HTTP: what comes in, what goes out, and the boundary modules, each the one place for its danger.

``json`` is the only decoder and encoder of JSON, ``client`` the only place that opens an outgoing connection. Nothing
else in the gateway may do either, which is what makes their promises promises of the whole gateway.
"""
