verso cache
