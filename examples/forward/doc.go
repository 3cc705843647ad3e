// Package forward is the main job on real input: it forwards packets through the whole
// Internet routing table while routes flap, neighbours are renewed, and gateways leave
// and come back. Every packet holds its route and its gateway until it has been sent, and
// looks whether they are whole and alive.
package forward
