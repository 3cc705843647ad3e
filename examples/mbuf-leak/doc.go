// Package mbufleak is the lesson about who has a packet when a call has failed.
package mbufleak
