package controller

import (
	"net"

	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// metricsAt says how metrics are served at an address: plainly on loopback;
// anywhere else over TLS, and only to whom the API server knows and lets get
// /metrics. That cannot be turned off. Without a certificate in certDir the
// server makes one that nobody else vouches for.
func metricsAt(address, certDir string) metricsserver.Options {
	o := metricsserver.Options{BindAddress: address, CertDir: certDir}
	if address != "0" && !onLoopback(address) {
		o.SecureServing, o.FilterProvider = true, filters.WithAuthenticationAndAuthorization
	}
	return o
}

// onLoopback is true where only this machine reaches an address.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
