enum PlaceholderUpstream {}
