// Package ifnet is network interfaces: how they are named, held, and leave.
package ifnet
