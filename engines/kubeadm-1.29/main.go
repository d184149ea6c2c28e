// Command kubeadm-1.29 is the real kubeadm of that release, for tests that compare what it writes.
package main

import (
	"k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmutil "k8s.io/kubernetes/cmd/kubeadm/app/util"

	_ "k8s.io/component-base/logs/json/register"
)

func main() {
	// kubeadm maps its error to an exit code here; without this call every failure would exit 0.
	kubeadmutil.CheckErr(app.Run())
}
