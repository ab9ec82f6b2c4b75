verso help watch cache
