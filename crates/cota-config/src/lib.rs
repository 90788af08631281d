//! From a bot folder to a validated bot: parsing, diagnostics, bundles.
