"""Against a real API server, where KUBEBUILDER_ASSETS names the folder of its programs (etcd, kube-apiserver)."""
