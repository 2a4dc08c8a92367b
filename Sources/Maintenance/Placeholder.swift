enum PlaceholderMaintenance {}
