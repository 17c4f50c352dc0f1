"""client-go's informers: a local, indexed view of the API server's objects that loses and invents nothing."""
