//! Who asks: a verified token, and the principal it belongs to.
