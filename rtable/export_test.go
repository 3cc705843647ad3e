package rtable

import (
	"context"

	"github.com/softnet-go/softnet/lwp"
)

// Tries is how often Get looks.
const Tries = tries

// Kill destroys e while it is in the table, which nothing outside of tests does.
func Kill(ctx context.Context, l *lwp.LWP, e *Entry) error { return e.target.Destroy(ctx, l) }
