package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// state is the directory of one control plane: its certificates, its etcd, its
// kubeconfigs. One process at a time holds it.
type state struct {
	dir  string
	port int
	lock *os.File
	pki  *pki
}

// openState takes the directory and makes what is missing in it.
func openState(o options) (*state, error) {
	s := &state{dir: o.dir, port: o.port}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	lock, err := os.OpenFile(s.path("plane.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of %s: %w", o.dir, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(s.path("plane.lock"))
		return nil, fmt.Errorf("%s is held by process %s", o.dir, holder)
	}
	_ = lock.Truncate(0)
	_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	s.lock = lock
	if s.pki, err = openPKI(s.path("pki")); err != nil {
		return nil, err
	}
	for _, who := range []struct{ file, cert string }{
		{"admin.kubeconfig", "admin"}, {"controller-manager.kubeconfig", "controller-manager"}, {"scheduler.kubeconfig", "scheduler"},
	} {
		if err := s.writeKubeconfig(who.file, who.cert); err != nil {
			return nil, err
		}
	}
	ca, err := os.ReadFile(s.pki.file("ca.crt"))
	if err != nil {
		return nil, err
	}
	return s, writeFile(s.path("ca.crt"), ca, 0o644)
}

func (s *state) close() { _ = s.lock.Close() }

func (s *state) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s *state) url() string { return fmt.Sprintf("https://127.0.0.1:%d", s.port) }

// writeKubeconfig writes a kubeconfig with a client certificate in it.
func (s *state) writeKubeconfig(file, cert string) error {
	c := clientcmdapi.NewConfig()
	ca, err := os.ReadFile(s.pki.file("ca.crt"))
	if err != nil {
		return err
	}
	crt, err := os.ReadFile(s.pki.file(cert + ".crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(s.pki.file(cert + ".key"))
	if err != nil {
		return err
	}
	c.Clusters["poolkeeper-local"] = &clientcmdapi.Cluster{Server: s.url(), CertificateAuthorityData: ca}
	c.AuthInfos[cert] = &clientcmdapi.AuthInfo{ClientCertificateData: crt, ClientKeyData: key}
	c.Contexts["poolkeeper-local"] = &clientcmdapi.Context{Cluster: "poolkeeper-local", AuthInfo: cert}
	c.CurrentContext = "poolkeeper-local"
	text, err := clientcmd.Write(*c)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return writeFile(s.path(file), text, 0o600)
}

func (s *state) client() (*kubernetes.Clientset, error) {
	c, err := clientcmd.BuildConfigFromFlags("", s.path("admin.kubeconfig"))
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(c)
}

// waitReady waits until the API server says that it is ready.
func (s *state) waitReady(ctx context.Context) error {
	k, err := s.client()
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var code int
		k.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&code)
		if code == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// publish tells nodes where the API server is: kube-public/cluster-info, as
// kubeadm writes it.
func (s *state) publish(ctx context.Context) error {
	k, err := s.client()
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(s.pki.file("ca.crt"))
	if err != nil {
		return err
	}
	c := clientcmdapi.NewConfig()
	c.Clusters[""] = &clientcmdapi.Cluster{Server: s.url(), CertificateAuthorityData: ca}
	text, err := clientcmd.Write(*c)
	if err != nil {
		return err
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cluster-info", Namespace: metav1.NamespacePublic}, Data: map[string]string{"kubeconfig": string(text)}}
	maps := k.CoreV1().ConfigMaps(metav1.NamespacePublic)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespacePublic}}
	if _, err := k.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if _, err := maps.Create(ctx, m, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
		_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
		return err
	} else if err != nil {
		return fmt.Errorf("publish cluster-info: %w", err)
	}
	return nil
}

// writeFile puts a file in place whole and synced, so that a crash leaves the
// old one or the new one.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
