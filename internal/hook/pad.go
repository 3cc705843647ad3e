package hook

// LineBytes is how far apart two words must lie that different cores write: two cache
// lines of 64 bytes, because the prefetcher of common processors fetches them in pairs.
const LineBytes = 128
