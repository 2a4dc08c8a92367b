enum PlaceholderPullThrough {}
