package wqinput_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/wqinput"
)

// What a hand-over costs per packet, in bursts, with the producer waiting when the queue is
// full; and through a channel of packets, which keeps no books and pins nothing.
func BenchmarkHandOver(b *testing.B) {
	for _, burst := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("wqinput/burst=%d", burst), func(b *testing.B) {
			st := newStack(b)
			em0 := st.attach()
			back := make(chan []*mbuf.Packet, 4)
			for range cap(back) {
				ms := make([]*mbuf.Packet, burst)
				for i := range ms {
					ms[i] = st.packet(em0, 1, 0)
				}
				back <- ms
			}
			var done []*mbuf.Packet
			hold := mbuf.NewQueue("back")
			q := wqinput.New(st.ifs, "bench", func(_ context.Context, in *wqinput.Input) {
				in.Packet.Keep(hold)
				done = append(done, in.Packet)
				if len(done) == burst {
					back <- append([]*mbuf.Packet(nil), done...)
					done = done[:0]
				}
			}, wqinput.WithStreams(1))
			b.ResetTimer()
			for n := 0; n < b.N; n += burst {
				for _, m := range <-back {
					if m.OwnedBy(hold) {
						m.Take(hold, nil)
					}
					_ = q.Input(m, 0, 1)
				}
			}
		})
		b.Run(fmt.Sprintf("channel/burst=%d", burst), func(b *testing.B) {
			st := newStack(b)
			em0 := st.attach()
			back := make(chan []*mbuf.Packet, 4)
			for range cap(back) {
				ms := make([]*mbuf.Packet, burst)
				for i := range ms {
					ms[i] = st.packet(em0, 1, 0)
				}
				back <- ms
			}
			ch := make(chan *mbuf.Packet, 256)
			go func() {
				var done []*mbuf.Packet
				for m := range ch {
					done = append(done, m)
					if len(done) == burst {
						back <- append([]*mbuf.Packet(nil), done...)
						done = done[:0]
					}
				}
			}()
			b.ResetTimer()
			for n := 0; n < b.N; n += burst {
				for _, m := range <-back {
					ch <- m
				}
			}
			close(ch)
		})
	}
}
