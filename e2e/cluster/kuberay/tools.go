// Package kuberay pins KubeRay's operator, which `python e2e/cluster kuberay` builds and runs beside the cluster.
package kuberay

import _ "github.com/ray-project/kuberay/ray-operator"
