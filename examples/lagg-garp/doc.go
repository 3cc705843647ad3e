// Package lagggarp is the lesson about sending under one's own lock: the way out leads back.
package lagggarp
