package lint

// A Check is one rule of the house.
type Check struct {
	Name string // also the name of its archive in testdata
	Run  func(*Tree) []Finding
}

// Checks are the rules, in the order of the package comment.
var Checks = []Check{
	{"layout", layout},
	{"imports", imports},
	{"modules", modules},
	{"shared", shared},
	{"globals", globals},
	{"sleep", sleep},
	{"doc", doc},
	{"exported", exported},
	{"words", words},
	{"links", links},
	{"quotes", quotes},
	{"gofmt", gofmt},
}
