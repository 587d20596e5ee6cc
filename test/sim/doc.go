// Package sim runs the whole system by a seed: the real reconcilers, the
// provider's code and the local cloud's logic in one process, in virtual time,
// over a model of the API server. Each reconciler is an actor that hands
// control back at every call to the API server and the cloud; one goroutine
// runs at a time, and the seed alone chooses who goes on, what goes wrong and
// what people do meanwhile. The promises are checked at every change, and when
// the trouble has stopped the pool must come to what was asked for. In comes a
// seed, out comes a history, the same to the byte for the same seed, and what
// was violated. Machines are modelled by what others see of them: a Node that
// appears when its record allows it to join.
package sim
