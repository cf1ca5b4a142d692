//! The control plane: calls to monitors and managers, and subscriptions to maps.
