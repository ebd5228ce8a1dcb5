"""The REST API: one router a noun. It reads the store, and changes incidents through advance."""
