package wqinput_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/wqinput"
)

// The twin of a queue is one list per stream. Whatever is done to both, each packet ends as the
// twin's does: handled, in the order of its stream, or dropped with its interface, or refused.
func TestQueue_IsAsItsTwin(t *testing.T) {
	type twin struct {
		number byte
		in     ifnet.ID
	}
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			st := newStack(t)
			streams, limit := rapid.IntRange(1, 3).Draw(t, "streams"), rapid.IntRange(1, 20).Draw(t, "limit")
			var lists [3][]twin // what is queued and not in hand
			var inHand [3]*twin
			gate := [3]chan bool{make(chan bool), make(chan bool), make(chan bool)}
			q := wqinput.New(st.ifs, "q", func(_ context.Context, in *wqinput.Input) {
				s := in.Packet.FlowID % uint32(streams)
				want := inHand[s]
				require.NotNil(t, want)
				require.Equal(t, want.number, number(in.Packet))
				require.Equal(t, want.in, in.In.ID())
				<-gate[s]
				in.Packet.Free(mbuf.Done)
			}, wqinput.WithStreams(streams), wqinput.WithLimit(limit))
			var handled, departed, nobufs, refused, calls uint64
			ifaces := []ifnet.ID{st.attach(), st.attach()}
			gone := ifnet.ID{Index: 77, Gen: 1}
			next := byte(0)
			take := func(s int) { // the worker takes the next
				if inHand[s] == nil && len(lists[s]) > 0 {
					inHand[s] = &lists[s][0]
					lists[s] = lists[s][1:]
				}
			}
			release := func(s int) {
				if inHand[s] != nil {
					inHand[s] = nil
					handled++
					take(s)
					gate[s] <- true
					synctest.Wait()
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"": func(t *rapid.T) {
					synctest.Wait()
					s := q.Stats()
					require.Equal(t, []uint64{handled, departed, nobufs, refused}, []uint64{s.Handled, s.Departed, s.NoBufs, s.RefusedIf})
					n, hands := 0, 0
					for i := range lists {
						n += len(lists[i])
						if inHand[i] != nil {
							hands++
						}
					}
					require.Equal(t, n, s.Len)
					require.Equal(t, hands, s.InHand)
					require.Equal(t, n+hands, st.pool.Outstanding())
					lawful(t, q, int(calls))
				},
				"input": func(t *rapid.T) {
					flow := rapid.Uint32Range(0, 5).Draw(t, "flow")
					in := rapid.SampledFrom(append(ifaces[:len(ifaces):len(ifaces)], gone)).Draw(t, "in")
					s := int(flow) % streams
					next++
					x := twin{next, in}
					var want error
					switch {
					case in == gone:
						want = wqinput.ErrIfDeparted
						refused++
					case len(lists[s]) >= limit:
						want = wqinput.ErrNoBufs
						nobufs++
					default:
						lists[s] = append(lists[s][:len(lists[s]):len(lists[s])], x)
						take(s)
					}
					calls++
					require.ErrorIs(t, q.Input(st.packet(in, flow, next), 0, 1), want)
				},
				"let the handler end": func(t *rapid.T) { release(rapid.IntRange(0, streams-1).Draw(t, "stream")) },
				"detach": func(t *rapid.T) {
					i := rapid.IntRange(0, len(ifaces)-1).Draw(t, "which")
					id := ifaces[i]
					for s := range lists {
						var rest []twin
						for _, x := range lists[s] {
							if x.in == id {
								departed++
							} else {
								rest = append(rest, x)
							}
						}
						lists[s] = rest
					}
					var err error
					over := make(chan bool)
					go func() {
						err = st.detach(bg(), id)
						close(over)
					}()
					synctest.Wait()
					select {
					case <-over:
						for s := range inHand {
							require.False(t, inHand[s] != nil && inHand[s].in == id, "it did not wait for the handler")
						}
					default:
						for s := range inHand {
							if inHand[s] != nil && inHand[s].in == id {
								release(s)
							}
						}
						<-over
					}
					require.NoError(t, err)
					gone = id
					ifaces[i] = st.attach()
				},
			})
			for s := range lists {
				for inHand[s] != nil {
					release(s)
				}
			}
			require.NoError(t, q.Close(bg()))
			require.Equal(t, handled, q.Stats().Handled)
			require.Zero(t, st.pool.Outstanding())
		})
	})
}
